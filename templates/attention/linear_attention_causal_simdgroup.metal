{% set name, causal = "linear_attention_causal", true %}
{% include "linear_attention.jinja" %}
