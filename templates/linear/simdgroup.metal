{% set split = false %}
{% include "linear.jinja" %}
