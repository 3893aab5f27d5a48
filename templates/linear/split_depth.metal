{% set split = true %}
{% include "linear.jinja" %}
