"""The older name of `download_asset`."""

from shared.plugins.assets import download_asset as resolve_url_to_local_path

__all__ = ["resolve_url_to_local_path"]
