// What the pages do beyond links and forms. Nothing here is needed to read a page.
(() => {
  "use strict";
  const root = document.documentElement;

  function say(text) {
    const place = document.getElementById("said");
    place.textContent = text;
    clearTimeout(say.timer);
    say.timer = setTimeout(() => (place.textContent = ""), 4000);
  }

  function isDark() {
    if (root.dataset.theme) return root.dataset.theme === "dark";
    return matchMedia("(prefers-color-scheme: dark)").matches;
  }

  async function copy(button) {
    const text = document.getElementById(button.dataset.copy).textContent;
    try {
      await navigator.clipboard.writeText(text);
      say("Copied");
    } catch {
      say("The browser did not allow copying; select the text instead");
    }
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button?.dataset.copy) copy(button);
    if (button && "themeToggle" in button.dataset) {
      root.dataset.theme = isDark() ? "light" : "dark";
      localStorage.setItem("theme", root.dataset.theme);
    }
    if (button && "close" in button.dataset) button.closest("dialog").close();
    for (const open of document.querySelectorAll("details.menu[open]")) {
      if (!open.contains(event.target)) open.removeAttribute("open");
    }
  });

  document.addEventListener("keydown", (event) => {
    // The editor of the console lies in a shadow root: the event's own target is not its target here.
    const typing = event.composedPath()[0].closest?.("input, textarea, select, [contenteditable]");
    if (event.key === "/" && !typing) {
      const field = document.querySelector("[data-hotkey='/']");
      if (field) {
        event.preventDefault();
        field.focus();
        field.select();
      }
    }
    if (event.key === "Escape") {
      for (const open of document.querySelectorAll("details.menu[open]")) open.removeAttribute("open");
    }
  });

  // Who sits here next finds nothing of what was typed, whatever the server says to this.
  document.addEventListener("submit", (event) => {
    if (event.target.getAttribute("action") === "/sign-out") sessionStorage.clear();
  });

  // A session that ended in the middle of something: sign in here, and the same request goes again.
  const dialog = document.getElementById("sign-in-again");
  let again = null;
  function goOn() {
    again?.();
    again = null;
    dialog.close();
  }
  document.addEventListener("htmx:responseError", (event) => {
    const status = event.detail.xhr.status;
    if (status === 401 && dialog) {
      const { elt } = event.detail;
      again = () => htmx.trigger(elt, event.detail.requestConfig.triggeringEvent?.type ?? "click");
      dialog.showModal();
    } else {
      say(`That did not work (${status})`);
    }
  });
  dialog?.querySelector("form").addEventListener("submit", async (event) => {
    event.preventDefault();
    const form = event.target;
    const reply = await fetch("/sign-in", { method: "POST", body: new URLSearchParams(new FormData(form)), redirect: "manual" });
    const fault = form.querySelector(".fault");
    fault.hidden = reply.type === "opaqueredirect";
    fault.textContent = fault.hidden ? "" : "The token is not valid here.";
    if (fault.hidden) {
      form.reset();
      goOn();
    }
  });
  dialog?.querySelector("[data-again]")?.addEventListener("click", goOn);
  // The same for pages with scripts of their own: they are told whether somebody signed in.
  document.addEventListener("pages:session-ended", (event) => {
    again = () => event.detail(true);
    dialog.showModal();
    dialog.addEventListener("close", () => event.detail(false), { once: true });
  });
  document.addEventListener("pages:say", (event) => say(event.detail));
  document.addEventListener("htmx:sendError", () => say("The server cannot be reached"));
})();
