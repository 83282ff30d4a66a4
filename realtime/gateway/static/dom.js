// Elements without markup: all words go in as text, so that nothing in an event can become a tag.

/** An element with properties and children; a child may be an element or a text. */
export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "text") made.textContent = value;
    else if (name === "style") for (const [key, to] of Object.entries(value)) made.style.setProperty(key, to);
    else made.setAttribute(name === "css" ? "class" : name, value === true ? "" : value);
  }
  made.append(...children.filter(child => child !== null && child !== undefined));
  return made;
}

/** The element with this id. */
export const byId = id => document.getElementById(id);

/** Changes a text only where it differs, so that a screen reader does not repeat it. */
export function setText(target, text) {
  if (target.textContent !== text) target.textContent = text;
}
