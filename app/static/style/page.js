// A link to another page waits for the box in which something was typed. Streamlit reports a box
// once it is left, and in a busy browser only after the link; the late report leads back to the page
// that was left, so that the link seems to do nothing.
const LINKS = ["stTopNavLink", "stTopNavDropdownLink", "stSidebarNavLink", "stPageLink-NavLink"]
  .map((name) => `a[data-testid="${name}"]`).join();
const REPORTS = 100, LONGEST = 1500;
let typed = false, passes = false;

function resting() {
  return document.querySelector("[data-test-script-state]")?.dataset.testScriptState !== "running";
}

function follow(link, address, since) {
  if (!resting() && performance.now() - since < LONGEST) {
    setTimeout(follow, 50, link, address, since);
    return;
  }
  // A list may be another by then, and what was a link to one species, be one to the next.
  const same = (found) => found.isConnected && found.href === address;
  const goal = same(link) ? link : [...document.querySelectorAll(LINKS)].find(same);
  if (!goal) {
    location.assign(address);
    return;
  }
  passes = true;
  try {
    goal.click();
  } finally {
    passes = false;
  }
}

document.addEventListener("input", () => { typed = true; }, true);
document.addEventListener("click", (event) => {
  const link = event.target instanceof Element && event.target.closest(LINKS);
  const elsewhere = event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey;
  if (!link || !typed || passes || elsewhere) return;
  typed = false;
  event.preventDefault();
  event.stopImmediatePropagation();
  // A frame is drawn, and with it what the box has to say; then its run of the page has begun.
  requestAnimationFrame(() => setTimeout(follow, REPORTS, link, link.href, performance.now()));
}, true);
