// The form of a schedule: another field appears where the last of many is filled, and fields of what is not chosen are
// not sent. Without script the button for the preview brings the next one.
(() => {
  'use strict';
  const form = document.querySelector('form[data-schedule-form]');
  if (!form) return;
  form.addEventListener('input', event => {
    const list = event.target.closest('[data-many]');
    if (!list) return;
    const fields = [...list.querySelectorAll('input')];
    const empty = fields.filter(field => !field.value);
    if (empty.length === 0) {
      const last = fields[fields.length - 1];
      const next = last.cloneNode(true);
      next.value = '';
      next.removeAttribute('value');
      next.classList.remove('is-invalid');
      next.removeAttribute('aria-invalid');
      last.after(next);
    }
    // One that was emptied goes, but not from under the fingers.
    empty.slice(0, -1).filter(field => field !== event.target).forEach(field => field.remove());
  });
  // A browser refuses to send a form for a field that nobody sees.
  const choices = () => {
    for (const field of form.querySelectorAll('input, select')) field.disabled = !!field.closest('[hidden], .is-off');
  };
  document.addEventListener('change', choices);
  choices();
})();
