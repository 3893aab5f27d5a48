{% set name, by_channel = "gated_delta", false %}
{% include "gated_delta.jinja" %}
