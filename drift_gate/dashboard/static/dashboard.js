// Nothing needs this: it says times in the reader's zone too, and greys a page that has become old.
"use strict";

(function () {
  const zone = new Intl.DateTimeFormat(undefined, { timeZoneName: "short", hour: "2-digit", minute: "2-digit" });
  const whole = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long" });

  function told(element) {
    const at = new Date(element.dateTime);
    if (isNaN(at)) return;
    element.title = whole.format(at);
    if (element.classList.contains("at") && at.getTimezoneOffset() !== 0) {
      const local = document.createElement("span");
      local.className = "local";
      local.textContent = " (" + zone.format(at) + ")";
      element.append(local);
    }
  }

  function outdated() {
    const until = new Date(document.body.dataset.until || NaN);
    if (isNaN(until) || Date.now() < until.getTime()) return;
    document.body.classList.add("old");
    const banner = document.querySelector(".outdated");
    banner.querySelector("span").textContent = "at " + document.querySelector("footer time").textContent;
    banner.hidden = false;
  }

  document.querySelectorAll("time[datetime]").forEach(told);
  outdated();
  setInterval(outdated, 30000);
})();
