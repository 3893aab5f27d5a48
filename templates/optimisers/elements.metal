{% include "elements.jinja" %}
