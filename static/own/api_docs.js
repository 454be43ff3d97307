// Swagger UI on our own OpenAPI document.
window.addEventListener('load', () => {
  'use strict';
  const place = document.getElementById('api');
  window.SwaggerUIBundle({
    url: place.dataset.document,
    domNode: place,
    deepLinking: true,
    defaultModelsExpandDepth: -1,
    presets: [window.SwaggerUIBundle.presets.apis],
  });
});
