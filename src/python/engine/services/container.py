"""The container `build_steps` is given. A member that nothing stands behind says so when it is called."""

from typing import Any

from engine.models.loader import load_namespace_model
from engine.services.unavailable import unavailable


class LanguageModels:
    """`container.llm`: generation by outside providers (`google`, `openai`, `anthropic`)."""

    @property
    def service(self) -> Any:
        raise unavailable("provider", "llm")

    async def generate(self, instruction: str, **options: Any) -> Any:
        """Raises ServiceUnavailable naming the provider asked for."""
        raise unavailable("provider", str(options.get("provider") or "llm"))

    async def process(self, request: Any) -> Any:
        """Raises ServiceUnavailable naming the provider asked for."""
        raise unavailable("provider", str(getattr(request, "provider", None) or "llm"))


class Secrets:
    """`container.secrets`: the organization's secrets by name."""

    async def get(self, name: str) -> str:
        """Raises ServiceUnavailable: no secret was handed to this worker."""
        raise unavailable("secret", name)

    async def list(self) -> list[str]:
        """Names of the secrets handed to this worker."""
        return []


class InferenceServices:
    """`container.inference`: built-in services by id, such as `intfloat/multilingual-e5-large-instruct`."""

    def get(self, service_id: str) -> Any:
        """Raises ServiceUnavailable when the appliance does not serve `service_id`."""
        raise unavailable("service", service_id)


class Models:
    """`container.models`: weights uploaded to the namespace."""

    def get(self, name: str) -> Any:
        """What `load_namespace_model` answers for `name`."""
        return load_namespace_model(name)


class ServiceContainer:
    """Picklable: it holds no connection."""

    def __init__(self, namespace_id: str | None = None) -> None:
        self.namespace_id = namespace_id
        self.llm = LanguageModels()
        self.secrets = Secrets()
        self.inference = InferenceServices()
        self.models = Models()

    @classmethod
    def create(cls, namespace_id: str | None = None) -> "ServiceContainer":
        return cls(namespace_id=namespace_id)
