// Without this script, everything can be selected and copied by hand.
"use strict";

const said = document.getElementById("copied");

for (const button of document.querySelectorAll("button[data-copy]")) {
  if (!navigator.clipboard) break;
  button.hidden = false;
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
      said.textContent = "Copied.";
    } catch {
      said.textContent = "The browser does not allow copying: select the text and copy it.";
    }
    setTimeout(() => { said.textContent = ""; }, 4000);
  });
}
