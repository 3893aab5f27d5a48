{% set wide = true %}
{% include "rowwise.jinja" %}
