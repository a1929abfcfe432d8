"""`realtime.py`: the handler in whichever form the plugin has it, called for one request at a time."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from itertools import islice
from typing import Any, Final

from plugin_worker.failures import InvalidPlugin
from plugin_worker.json_values import NotJson, to_json_value
from plugin_worker.plugin_loader import Plugin
from shared.plugins.inference.serve import BaseInferenceService

# A generator may never end; a stream of requests has its deadline, a look at what a handler answers has this.
_FIRST_PIECES: Final = 100


class RealtimeService:
    """A constructed handler. `form` says by which rule it was found."""

    def __init__(self, handler: Any, form: str) -> None:
        """Raises InvalidPlugin for a handler that has nothing to be called."""
        self.form = form
        self._handler = handler
        if not (self.batches or callable(self._function())):
            raise InvalidPlugin(f"{type(handler).__name__} in realtime.py has no predict, predict_batch or run_inference.")
        # One loop for the life of the worker: clients that a handler keeps are bound to the loop they were made in.
        self._loop = asyncio.new_event_loop()

    @property
    def batches(self) -> bool:
        """Whether the handler takes several requests in one call."""
        return callable(getattr(self._handler, "predict_batch", None))

    @property
    def overlaps(self) -> bool:
        """Whether a call may begin while others await something: the handler is `async def`, and takes one request in a call."""
        if self.batches:
            return False
        function = self._function()
        call = function if inspect.isroutine(function) else getattr(function, "__call__", None)
        return inspect.iscoroutinefunction(call) or inspect.isasyncgenfunction(call)

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        self._loop.run_until_complete(work)

    def predict(self, request: dict[str, Any]) -> Any:
        """The handler's answer as JSON; of a generator a list of its first pieces.

        Raises InvalidPlugin for an answer that is no dict, or what the handler raises.
        """
        answer = self.call(*inputs_and_parameters(request))
        try:
            if isinstance(answer, Iterator):
                return [to_json_value(piece, "piece") for piece in islice(answer, _FIRST_PIECES)]
            return to_json_value(self.checked(answer), "response")
        except NotJson as error:
            raise InvalidPlugin(f"The realtime handler's answer is not JSON: {error}.") from error

    def call(self, inputs: dict[str, Any], parameters: dict[str, Any]) -> Any:
        """What the handler answers, awaited; an iterator of pieces for a generator. Raises what the handler raises."""
        answer = self.begin(inputs, parameters)
        if type(answer) is dict:
            return answer
        if inspect.isawaitable(answer):
            answer = self._loop.run_until_complete(_awaited(answer))
        if inspect.isasyncgen(answer):
            return self._pieces(answer)
        return answer

    def begin(self, inputs: dict[str, Any], parameters: dict[str, Any]) -> Any:
        """What the handler answers, as it answers it. Raises what the handler raises."""
        handler = self._handler
        predict = getattr(handler, "predict", None)
        if callable(predict):
            return predict(merged(inputs, parameters) if parameters else inputs)
        if self.batches:
            (answer,) = self.predict_batch([merged(inputs, parameters)])
            return answer
        return self._function()(inputs, parameters)

    def _function(self) -> Callable[..., Any]:
        handler = self._handler
        if callable(getattr(handler, "predict", None)):
            return handler.predict
        return handler.run_inference if _overrides_run_inference(handler) else handler

    def predict_batch(self, requests: list[dict[str, Any]]) -> list[Any]:
        """One answer for each request, in order. Raises InvalidPlugin for another number of them, or what the handler raises."""
        answers = self._handler.predict_batch(requests)
        if inspect.isawaitable(answers):
            answers = self._loop.run_until_complete(_awaited(answers))
        if not isinstance(answers, (list, tuple)) or len(answers) != len(requests):
            what = f"{len(answers)}" if isinstance(answers, (list, tuple)) else f"a {type(answers).__name__}"
            raise InvalidPlugin(f"predict_batch must answer a list of {len(requests)}, one for each request, not {what}.")
        return list(answers)

    def checked(self, answer: Any) -> dict[str, Any]:
        """Raises InvalidPlugin unless it is a dict."""
        if not isinstance(answer, dict):
            raise InvalidPlugin(f"The realtime handler must answer a dict, not a {type(answer).__name__}.")
        return answer

    def _pieces(self, answer: AsyncIterator[Any]) -> Iterator[Any]:
        while True:
            try:
                yield self._loop.run_until_complete(_awaited(anext(answer)))
            except StopAsyncIteration:
                return


def construct_realtime(plugin: Plugin) -> RealtimeService:
    """Finds and constructs the handler. Raises PluginFileMissing, InvalidPlugin, or what its constructor raises."""
    module = plugin.load("realtime")
    names = vars(module)
    if inspect.isclass(names.get("RealtimeHandler")):
        return RealtimeService(names["RealtimeHandler"](), "RealtimeHandler")
    if callable(names.get("get_inference_service")):
        return RealtimeService(names["get_inference_service"](), "get_inference_service")
    classes = [item for item in names.values() if inspect.isclass(item) and item.__module__ == module.__name__]
    for found in classes:
        if issubclass(found, BaseInferenceService):
            return RealtimeService(found(), "BaseInferenceService")
    for found in classes:
        if found.__name__.endswith("InferenceService") and not found.__name__.startswith("Base"):
            return RealtimeService(found(), "InferenceService")
    raise InvalidPlugin(
        "realtime.py defines no RealtimeHandler, no get_inference_service() and no class deriving from BaseInferenceService."
    )


def inputs_and_parameters(request: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The envelope {inputs, parameters} taken apart; any other request is the inputs themselves."""
    if isinstance(request.get("inputs"), dict) and set(request) <= {"inputs", "parameters"}:
        return request["inputs"], request.get("parameters") or {}
    return request, {}


def merged(inputs: dict[str, Any], parameters: dict[str, Any]) -> dict[str, Any]:
    """What `predict` gets: the inputs, with the parameters under that key when there are some and the key is free."""
    return {**inputs, "parameters": parameters} if parameters and "parameters" not in inputs else inputs


def _overrides_run_inference(handler: Any) -> bool:
    method = getattr(type(handler), "run_inference", None)
    return method is not None and method is not BaseInferenceService.run_inference


async def _awaited(answer: Any) -> Any:
    return await answer
