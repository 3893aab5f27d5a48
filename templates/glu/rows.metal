{% set by_row = true %}
{% include "elements.jinja" %}
