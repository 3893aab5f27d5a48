{% set wide = false %}
{% include "rowwise.jinja" %}
