"""The readme of a built package: that of the project, with links that work elsewhere, too."""

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

_LINK = re.compile(r"(!?)\[([^\]]*)\]\((?!https?://|#)([^)]+)\)")


class CustomMetadataHook(MetadataHookInterface):
    """Puts the readme into the metadata."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Set ``readme``, whose relative links lead to the repository."""
        source = metadata["urls"]["Source"]
        raw = source.replace("github.com", "raw.githubusercontent.com")
        text = (Path(self.root) / "README.md").read_text(encoding="utf-8")

        def absolute(link: re.Match[str]) -> str:
            mark, shown, path = link.groups()
            start = f"{raw}/main" if mark else f"{source}/blob/main"
            return f"{mark}[{shown}]({start}/{path})"

        metadata["readme"] = {"content-type": "text/markdown", "text": _LINK.sub(absolute, text)}
