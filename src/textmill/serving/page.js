// The form is answered in its place, without loading the page anew; without this file it still works.
"use strict";
document.addEventListener("submit", async (event) => {
  const form = event.target;
  event.preventDefault();
  const button = form.querySelector("button");
  const result = document.getElementById("result");
  button.disabled = true;
  result.setAttribute("aria-busy", "true");
  try {
    const response = await fetch(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)) });
    if (!(response.headers.get("content-type") || "").startsWith("text/html")) {
      throw new Error((await response.json()).detail);
    }
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    const focused = document.activeElement && document.activeElement.id;
    form.replaceWith(page.querySelector("form"));
    result.replaceChildren(...page.getElementById("result").childNodes);
    const again = focused && document.getElementById(focused);
    if (again) again.focus();
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
