// The form is answered in its place, without loading the page anew; without this file it still works.
"use strict";
document.addEventListener("submit", async (event) => {
  const form = event.target;
  event.preventDefault();
  const button = form.querySelector("button");
  const sent = new FormData(form);
  const result = document.getElementById("result");
  button.disabled = true;
  result.setAttribute("aria-busy", "true");
  try {
    const response = await fetch(form.action, { method: "POST", body: new URLSearchParams(sent) });
    const kind = response.headers.get("content-type") || "";
    if (!kind.startsWith("text/html")) {
      throw new Error(kind.startsWith("application/json") ? (await response.json()).detail : `status ${response.status}`);
    }
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    const next = page.querySelector("form");
    for (const field of form.querySelectorAll("textarea, input:not([type=hidden])")) {
      // What was written while the server thought is not to be lost.
      if (field.value !== sent.get(field.name)) next.elements[field.name].value = field.value;
    }
    const active = document.activeElement;
    const focused = active && active.id;
    const selection = focused && form.contains(active) ? [active.selectionStart, active.selectionEnd] : null;
    const pressed = active === button || active === document.body;
    form.replaceWith(next);
    result.replaceChildren(...page.getElementById("result").childNodes);
    const again = focused && document.getElementById(focused);
    if (again) again.focus();
    if (again && selection) again.setSelectionRange(...selection);
    if (pressed) next.querySelector("button").focus({ preventScroll: true });
    if (window.matchMedia("(max-width: 54rem)").matches) {
      result.scrollIntoView({ block: "nearest" });
    }
  } catch (error) {
    const told = document.createElement("p");
    told.className = "problem";
    told.setAttribute("role", "alert");
    told.textContent = `The server did not answer: ${error.message}`;
    result.replaceChildren(told);
    button.disabled = false;
  } finally {
    result.removeAttribute("aria-busy");
  }
});
