// Starts Swagger UI on the document that is served beside this page.
"use strict";

SwaggerUIBundle({
  dom_id: "#docs",
  url: new URL("openapi-3.2.json", document.baseURI).href,
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
