// Starts Redoc on the document that is served beside this page.
"use strict";

Redoc.init(
  new URL("openapi.json", document.baseURI).href,
  {
    expandResponses: "200",
    // Its own scroll bars come with a style sheet of their own.
    nativeScrollbars: true,
    requiredPropsFirst: true,
    theme: {
      colors: { primary: { main: "#0b6e75" } },
      // Fonts that are there: none is loaded.
      typography: {
        fontFamily: "system-ui, sans-serif",
        headings: { fontFamily: "system-ui, sans-serif" },
        code: { fontFamily: "ui-monospace, monospace" },
      },
    },
  },
  document.getElementById("redoc"),
);
