// Brings news of what is under way: the part marked data-follow is fetched anew until it is no longer marked.
const SECONDS = 3;

async function follow() {
  const shown = document.querySelector("[data-follow]");
  if (!shown) return;
  try {
    const answer = await fetch(location.href, { credentials: "same-origin" });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page.getElementById(shown.id);
    if (answer.ok && fresh && fresh.outerHTML !== shown.outerHTML) shown.replaceWith(document.adoptNode(fresh));
  } catch {
    // Not reachable just now; the next time it may be.
  }
  setTimeout(follow, SECONDS * 1000);
}

setTimeout(follow, SECONDS * 1000);
