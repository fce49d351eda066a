"""Metrics in Prometheus' text format."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from thinmesh.planes.operations.model import Measure

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric


def render(measures: Sequence[Measure]) -> str:
    """Write measures as text (https://prometheus.io/docs/instrumenting/exposition_formats)."""
    from prometheus_client import CollectorRegistry, generate_latest
    from prometheus_client.registry import Collector

    class Once(Collector):
        """Gives the measures of this moment."""

        def collect(self) -> Iterator[Metric]:
            """Give each as a family."""
            return (_family(measure) for measure in measures)

    registry = CollectorRegistry(auto_describe=False)
    registry.register(Once())
    return generate_latest(registry).decode()


def _family(measure: Measure) -> Metric:
    from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

    labels = list(measure.samples[0][0]) if measure.samples else []
    if measure.kind == "histogram":
        buckets = [(labels["le"], value) for labels, value in measure.samples]
        return HistogramMetricFamily(measure.name, measure.help, buckets=buckets, sum_value=measure.total)
    kind = CounterMetricFamily if measure.kind == "counter" else GaugeMetricFamily
    family = kind(measure.name, measure.help, labels=labels)
    for values, value in measure.samples:
        family.add_metric([values[name] for name in labels], value)
    return family
