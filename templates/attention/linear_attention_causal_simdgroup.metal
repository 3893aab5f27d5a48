{% set name, causal, rectified = "linear_attention_causal", true, false %}
{% include "linear_attention.jinja" %}
