"""Measurements in an open page, as functions for the browser: each returns what falls short, nothing if all is well."""

FAINT = """() => {
  const channel = (value) => (value /= 255) <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const colour = (text) => text.match(/[\\d.]+/g).map(Number);
  const ground = (element) => {
    for (let each = element; each; each = each.parentElement) {
      const found = colour(getComputedStyle(each).backgroundColor);
      if ((found[3] ?? 1) > 0.99) return found;
    }
    return [255, 255, 255];
  };
  const shown = (element) => element.checkVisibility({ opacityProperty: true })
    && !element.closest(".hidden, .skip, option, :disabled");
  const faint = [];
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    if (!own || !shown(element)) continue;
    const one = light(colour(getComputedStyle(element).color)), other = light(ground(element));
    const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    if (ratio < 4.5) faint.push(`${element.className} ${element.textContent.trim().slice(0, 30)}: ${ratio}`);
  }
  return faint;
}"""
"""Texts with less contrast than 4.5:1 against what is behind them."""

NAMELESS = """() => {
  const text = (element) => element?.textContent.trim() || "";
  const named = (each) => {
    if (each.matches("input, select")) return [...each.labels].some(text);
    const other = document.getElementById(each.getAttribute("aria-labelledby"));
    const label = each.getAttribute("aria-label") || text(other);
    return label || (each.matches("nav, section") ? each.matches(".wave") : text(each));
  };
  const kinds = "a[href], button, summary, input:not([type=hidden]), select, nav, section";
  return [...document.querySelectorAll(kinds)]
    .filter((each) => each.checkVisibility() && !named(each))
    .map((each) => each.outerHTML.slice(0, 120));
}"""
"""Controls and regions without a name."""

SMALL = """() => [...document.querySelectorAll("button, .button, input:not([type=hidden]), select, nav a, .chip")]
  .filter((each) => each.checkVisibility())
  .map((each) => [each, (each.closest("label") || each).getBoundingClientRect()])
  .filter(([, box]) => box.width && (box.height < 24 || box.width < 24))
  .map(([each, box]) => `${each.outerHTML.slice(0, 80)} ${box.width}x${box.height}`)"""
"""Targets smaller than 24 by 24 pixels."""
