{% set name, by_channel, packed = "gated_delta", false, false %}
{% include "gated_delta.jinja" %}
