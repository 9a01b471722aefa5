"""The plain page at `/`: what is served, and where the documentation is."""

from html import escape

from phenoserve.bundle import Bundle

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>phenoserve: {name}</title>
<style>
body {{ font: 1rem/1.5 system-ui, sans-serif; max-width: 44rem; margin: 3rem auto; padding: 0 1rem; }}
code, pre {{ font-family: ui-monospace, monospace; }}
pre {{ background: #f1f1f3; color: #18181b; padding: 0.8rem; overflow-x: auto; }}
dt {{ font-weight: 600; }}
</style>
</head>
<body>
<h1>phenoserve</h1>
<p>Answers what a treatment did to the cells of a multi-channel fluorescence image.
Everything can be tried at <a href="docs">/docs</a>.</p>
<dl>
<dt>Bundle</dt><dd>{name} {version}, on {device}</dd>
<dt>Stains, in order</dt><dd>{stains}</dd>
<dt>Treatments</dt><dd>{treatments}</dd>
</dl>
<pre>curl --data-binary @stack.tif -H 'Content-Type: image/tiff' {url}predict</pre>
</body>
</html>
"""


def landing_page(bundle: Bundle, device: str, url: str) -> str:
    """Make the page.

    Args:
        bundle: The bundle served.
        device: Where it runs.
        url: Address of the service as the reader sees it, ending in `/`.
    """
    manifest = bundle.manifest
    values = {
        "name": manifest.name,
        "version": manifest.version,
        "device": device,
        "stains": ", ".join(manifest.input.channels),
        "treatments": ", ".join(manifest.treatments),
        "url": url,
    }
    return PAGE.format(**{key: escape(value) for key, value in values.items()})
