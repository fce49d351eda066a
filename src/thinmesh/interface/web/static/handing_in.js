// Files dropped anywhere on the form, what was sent so far, and a name to begin with.
(() => {
  "use strict";
  const form = document.querySelector("[data-handing-in]");
  const files = form.querySelector("#files");
  const drop = form.querySelector("[data-drop]");
  const sent = form.querySelector("#sent");

  for (const kind of ["dragover", "dragleave", "drop"]) {
    form.addEventListener(kind, (event) => {
      event.preventDefault();
      drop.classList.toggle("over", kind === "dragover");
    });
  }
  form.addEventListener("drop", (event) => {
    if (!event.dataTransfer.files.length) return;
    files.files = event.dataTransfer.files;
    files.dispatchEvent(new Event("change", { bubbles: true }));
  });
  document.addEventListener("htmx:xhr:progress", (event) => {
    const { loaded, total, lengthComputable } = event.detail;
    sent.hidden = !lengthComputable || loaded >= total;
    if (lengthComputable) sent.value = (100 * loaded) / total;
  });
  document.addEventListener("htmx:afterSwap", (event) => {
    const suggested = event.target.querySelector?.("[data-suggested]")?.dataset.suggested;
    const name = form.querySelector("#name");
    if (suggested && name && !name.value) name.value = suggested;
  });
})();
