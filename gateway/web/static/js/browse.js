// The shelf: "Show more" adds cards in place; without this module it is a plain link to the next page.

const shelf = document.getElementById("shelf");

document.addEventListener("click", async (event) => {
  const link = event.target instanceof Element ? event.target.closest("#more") : null;
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  link.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(link.href);
    if (!answer.ok) throw new Error(String(answer.status));
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const cards = [...page.querySelectorAll("#shelf > li")];
    shelf.append(...cards);
    const following = page.getElementById("more");
    if (following) link.replaceWith(following);
    else link.parentElement.remove();
    cards[0]?.querySelector("a")?.focus({ preventScroll: true });
  } catch {
    location.assign(link.href);
  }
});
