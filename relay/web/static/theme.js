// Runs in <head> before anything is painted: the saved or the system's colours, so that no page flashes in the wrong ones.
(() => {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const apply = () => {
    let saved = null;
    try {
      saved = localStorage.getItem("relay.theme");
    } catch {
      // storage is off: the system decides
    }
    document.documentElement.dataset.theme = saved === "light" || saved === "dark" ? saved : dark.matches ? "dark" : "light";
    document.dispatchEvent(new Event("relay:theme"));
  };
  dark.addEventListener("change", apply);
  addEventListener("storage", apply);
  document.addEventListener("relay:theme-saved", apply);
  apply();
})();
