"""What most plugins need from the appliance."""

from shared.plugins.assets import download_asset, open_asset
from shared.plugins.sdk import concurrent_api_calls, parallel_io

__all__ = ["concurrent_api_calls", "download_asset", "open_asset", "parallel_io"]
