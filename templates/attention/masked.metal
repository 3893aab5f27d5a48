{% from "masked.jinja" import asked_and_sums, functions, handed, nothing_yet, query_place, walk, written with context %}
{% set more = handed("head / heads") | trim %}
/*kernel
op = "{{ op.name }}"
grid = [32, "q_len", "batch * heads"]
threadgroup = [32, {{ queries_per_group }}, 1]
[constants]
D = "head_dim"
PER_LANE = "max(ceildiv(head_dim, 32), 1)"
KEYS = {{ keys }}
*/
{{ functions(false) -}}
// --- body ---
const float lowest = -3.4e38f;  // of a key that is not seen; its weight is 0 all the same
const uint head = thread_position_in_grid.z;  // counted over the batch
{{ query_place() }}
{{ asked_and_sums() -}}
{{ nothing_yet() -}}
const int begin = max(first_key(place, {{ more }}), 0);
const int end = min(until_key(place, {{ more }}), kv_len);
{{ walk("is_seen(place, key, " ~ more ~ ")", more) -}}
{{ written() -}}
