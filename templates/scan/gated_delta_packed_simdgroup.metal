{% set name, by_channel, packed = "gated_delta_packed", false, true %}
{% include "gated_delta.jinja" %}
