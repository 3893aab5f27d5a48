{% set name, causal, rectified = "linear_attention", false, false %}
{% include "linear_attention.jinja" %}
