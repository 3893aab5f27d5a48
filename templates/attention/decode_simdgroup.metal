{% set split = false %}
{% include "decode.jinja" %}
