// Starts Swagger UI on the document that is served beside this page.
"use strict";

SwaggerUIBundle({
  dom_id: "#docs",
  // Of a stream described the way of version 3.2, Swagger UI shows no schema yet.
  url: new URL("openapi.json", document.baseURI).href,
  oauth2RedirectUrl: new URL("docs/oauth2-redirect.html", document.baseURI).href,
  presets: [SwaggerUIBundle.presets.apis],
  plugins: [liveAnswers],
  layout: "BaseLayout",
  deepLinking: true,
  displayOperationId: false,
  displayRequestDuration: true,
  // Schemas are listed, folded.
  defaultModelsExpandDepth: 0,
  filter: true,
  persistAuthorization: true,
  tryItOutEnabled: true,
  // The badge of an outside validator would tell it about the document.
  validatorUrl: null,
});
