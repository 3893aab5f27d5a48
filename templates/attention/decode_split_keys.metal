{% set split = true %}
{% include "decode.jinja" %}
