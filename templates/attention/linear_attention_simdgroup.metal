{% set name, causal = "linear_attention", false %}
{% include "linear_attention.jinja" %}
