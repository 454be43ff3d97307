// Swagger UI on our own OpenAPI document, light or dark as the pages are.
window.addEventListener('load', () => {
  'use strict';
  const root = document.documentElement;
  const device = window.matchMedia('(prefers-color-scheme: dark)');
  const follow = () => root.classList.toggle('dark-mode', (root.dataset.bsTheme || (device.matches ? 'dark' : 'light')) === 'dark');
  device.addEventListener('change', follow);
  document.addEventListener('theme', follow);
  follow();
  const place = document.getElementById('api');
  window.SwaggerUIBundle({
    url: place.dataset.document,
    domNode: place,
    deepLinking: true,
    defaultModelsExpandDepth: -1,
    presets: [window.SwaggerUIBundle.presets.apis],
  });
});
