"""One plugin in this worker: what has been read, built and constructed of it so far."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from plugin_worker.failures import InvalidPlugin, plugin_code
from plugin_worker.limits import API_CALLS
from plugin_worker.manifest import Manifest, read_manifest
from plugin_worker.output_capture import CallLines
from plugin_worker.plugin_loader import Plugin
from plugin_worker.protocol import Channel, Frame

if TYPE_CHECKING:
    from plugin_worker.api_calls import StepCalls
    from plugin_worker.call_sizes import CallSizes
    from plugin_worker.realtime import RealtimeService
    from plugin_worker.overlapping_calls import OverlappingCalls
    from plugin_worker.realtime_calls import RealtimeCalls
    from plugin_worker.steps import BuiltPipeline

Message = dict[str, Any]


class Session:
    """Answers the requests about a loaded plugin. Everything raised by plugin code leaves as RequestFailed."""

    def __init__(self, plugin: Plugin) -> None:
        self.plugin = plugin
        self._manifest: Manifest | None = None
        self._pipeline: BuiltPipeline | None = None
        self._calls: StepCalls | None = None
        self._sizes: CallSizes | None = None
        self._realtime: RealtimeService | None = None
        self._overlaps = False
        self._lines = CallLines()

    def read_manifest(self) -> Message:
        manifest = self._read_manifest()
        return {
            "type": "manifest",
            "manifest": manifest.as_message(),
            "warnings": list(manifest.warnings),
            "has_realtime": self.plugin.has("realtime"),
        }

    def validate_parameters(self, request: Message) -> Message:
        from plugin_worker.parameters import validate_parameters

        manifest = self._read_manifest()
        with plugin_code("parameters", self.plugin):
            checked = validate_parameters(manifest.declared_parameter_schema, request.get("parameters") or {})
        if checked.errors:
            return {"type": "parameters_invalid", "errors": list(checked.errors)}
        return {"type": "parameters_valid", "parameters": checked.parameters}

    def build_steps(self, request: Message) -> Message:
        from plugin_worker.api_calls import StepCalls
        from plugin_worker.call_sizes import CallSizes
        from plugin_worker.steps import ExtractorRequest, build_pipeline
        from plugin_worker.thread_pools import use_share_of_cores

        use_share_of_cores()
        manifest = self._read_manifest()
        with plugin_code("build_steps", self.plugin):
            self._pipeline = build_pipeline(
                self.plugin,
                ExtractorRequest(
                    request.get("parameters") or {},
                    request.get("feature_extractor_name") or manifest.feature_extractor_name,
                    request.get("version") or manifest.version,
                ),
                compute_profile=manifest.compute_profile,
                dataset_size=request.get("dataset_size"),
                content_flags=request.get("content_flags") or {},
            )
        self._calls = StepCalls(self.plugin, request.get("call_threads") or API_CALLS)
        self._sizes = CallSizes()
        return {"type": "steps_built", "steps": [step.as_message() for step in self._pipeline.steps]}

    def run_partition(self, request: Message, send_event: Callable[[Message], None]) -> Message:
        from plugin_worker.batch import PartitionRequest, run_partition

        if self._pipeline is None or self._calls is None or self._sizes is None:
            with plugin_code("run_partition", self.plugin):
                raise InvalidPlugin("The steps of the plugin have not been built yet.")
        partition = PartitionRequest.parse(request)
        identity = {"partition": partition.partition, "attempt": partition.attempt}
        done = run_partition(
            partition,
            self._pipeline,
            self._read_manifest(),
            self.plugin,
            self._calls,
            self._sizes,
            lambda event: send_event({**event, **identity}),
        )
        return {"type": "partition_done", **identity, **done}

    def construct_realtime(self) -> Message:
        from plugin_worker.realtime import construct_realtime

        # Before the plugin's module: what it takes of `sys` when it is imported is marked too.
        self._lines.attach()
        with plugin_code("realtime", self.plugin):
            self._realtime = construct_realtime(self.plugin)
            self._overlaps = self._realtime.overlaps
        return {
            "type": "realtime_constructed",
            "form": self._realtime.form,
            "batches": self._realtime.batches,
            "overlaps": self._overlaps,
        }

    def realtime_calls(
        self,
        channel: Channel,
        more: Callable[[float | None], Frame | None],
        interrupted: Callable[[], bool],
    ) -> "RealtimeCalls | OverlappingCalls | None":
        """Answers calls with the handler; None before it has been constructed."""
        from plugin_worker.overlapping_calls import OverlappingCalls
        from plugin_worker.realtime_calls import RealtimeCalls

        if self._realtime is None:
            return None
        if self._overlaps:
            return OverlappingCalls(self._realtime, self.plugin, channel, more, interrupted, self._lines)
        profile = self._read_manifest().compute_profile or {}
        return RealtimeCalls(self._realtime, self.plugin, profile, channel, more, self._lines)

    def predict(self, request: Message) -> Message:
        with plugin_code("predict", self.plugin):
            if self._realtime is None:
                raise InvalidPlugin("The realtime handler has not been constructed yet.")
            return {"type": "predicted", "response": self._realtime.predict(request.get("request") or {})}

    def _read_manifest(self) -> Manifest:
        if self._manifest is None:
            with plugin_code("manifest", self.plugin):
                self._manifest = read_manifest(self.plugin)
            if not self.plugin.name:
                self.plugin.name = self._manifest.feature_extractor_name
        return self._manifest
