{% set name, causal, rectified = "linear_attention_relu", false, true %}
{% include "linear_attention.jinja" %}
