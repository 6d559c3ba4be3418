// Swagger UI over the document of this very service, in a layout of our own. It loads nothing from anywhere else.

import { t } from "./texts.js";

const dark = matchMedia("(prefers-color-scheme: dark)");

/** Swagger UI has a dark look, but does not ask the browser for it. */
function onScheme() {
  document.documentElement.classList.toggle("dark-mode", dark.matches);
}

/** Its parts in our page: no second title, no choice of servers; and no link inside a button, which cannot be reached. */
function ourLook({ React }) {
  const element = React.createElement;

  function OurLayout({ getComponent, specSelectors }) {
    const part = (name, props) => element(getComponent(name, true), props);
    const about = specSelectors.info().get("description");
    if (!about) return element("div", { className: "swagger-ui" }, part("errors"));
    return element("div", { className: "swagger-ui" }, [
      element("div", { className: "docs-about", key: "about", lang: "en" }, part("Markdown", { source: about })),
      element("div", { className: "docs-part", key: "part" }, [
        element("h2", { className: "part", key: "title" }, t("page.realtime_requests")),
        element("div", { className: "auth-wrapper", key: "token" }, part("AuthorizeBtnContainer")),
      ]),
      element("div", { key: "errors" }, part("errors")),
      element("div", { key: "operations", lang: "en" }, part("operations")),
    ]);
  }

  return {
    components: { OurLayout, DeepLink: ({ text }) => element("span", {}, text) },
    wrapComponents: { ExamplesSelect: labelled("Example"), TextArea: labelled("Body"), CloseIcon: labelled("Close", "span") },
  };

  /** A control of which a screen reader would not know what it is for. */
  function labelled(word, kind = "label") {
    const name = element("span", { className: "unseen" }, word);
    return (Original) => (props) => element(kind, {}, name, element(Original, props));
  }
}

dark.addEventListener("change", onScheme);
onScheme();
window.SwaggerUIBundle({
  dom_id: "#swagger-ui",
  url: "/openapi.json",
  validatorUrl: null,
  deepLinking: true,
  docExpansion: "list",
  displayOperationId: true,
  displayRequestDuration: true,
  tryItOutEnabled: true,
  plugins: [ourLook],
  layout: "OurLayout",
});
