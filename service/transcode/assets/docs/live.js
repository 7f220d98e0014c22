// A plug-in for Swagger UI, which by itself shows an answer when all of it is there: a stream would stay invisible until
// its end, and one that never ends for ever. This one reads text as it arrives and shows what has come so far.
"use strict";

const liveAnswers = (() => {
  // How often a growing answer is shown anew, in milliseconds. An answer that is complete by then is shown once.
  const PAUSE = 150;
  // How much of an answer is kept, in UTF-16 units; of a longer one the end is shown.
  const KEPT = 1 << 20;
  const TEXT = /^text\/|json|xml/i;

  // The answers that are arriving, by operation.
  const arriving = new Map();
  const key = (path, method) => `${method} ${path}`;

  // Ends an answer. `quietly`: nobody wants to see it any more.
  const end = (path, method, quietly) => {
    const answer = arriving.get(key(path, method));
    arriving.delete(key(path, method));
    if (answer) {
      answer.quiet = quietly;
      answer.controller.abort();
    }
  };

  // What Swagger UI calls instead of `fetch`. `show` is given the answer so far, again and again.
  const follow = async (url, request, answer, show) => {
    const response = await fetch(url, { ...request, signal: answer.controller.signal });
    if (!response.body || !TEXT.test(response.headers.get("content-type") ?? "")) return response;

    const decoder = new TextDecoder();
    let text = "";
    let timer;
    const later = () => {
      timer ??= setTimeout(() => {
        timer = undefined;
        show(response, text);
      }, PAUSE);
    };
    try {
      for await (const piece of pieces(response.body)) {
        text = (text + decoder.decode(piece, { stream: true })).slice(-KEPT);
        later();
      }
    } catch (error) {
      if (!answer.controller.signal.aborted) throw error;
    } finally {
      clearTimeout(timer);
    }
    // A promise that is never kept: Swagger UI would show again what was cleared.
    if (answer.quiet) return new Promise(() => {});
    const { status, statusText, headers } = response;
    const whole = new Response(text, { status, statusText, headers });
    return Object.defineProperty(whole, "url", { value: response.url });
  };

  // Not every browser can iterate over a stream.
  async function* pieces(body) {
    const reader = body.getReader();
    for (let next = await reader.read(); !next.done; next = await reader.read()) yield next.value;
  }

  const executeRequest = (original, { specActions }) => (request) => {
    const { pathName: path, method } = request;
    end(path, method, true);
    const answer = { controller: new AbortController(), quiet: false };
    arriving.set(key(path, method), answer);
    const show = ({ ok, url, status, statusText, headers }, text) => {
      if (answer.controller.signal.aborted) return;
      const soFar = { ok, url, status, statusText, headers: Object.fromEntries(headers), text, data: text };
      specActions.setResponse(path, method, { ...soFar, arriving: true });
    };
    const userFetch = (url, options) => follow(url, options, answer, show);
    return original({ ...request, userFetch }).finally(() => {
      if (arriving.get(key(path, method)) === answer) arriving.delete(key(path, method));
    });
  };

  const clearResponse = (original) => (path, method) => {
    end(path, method, true);
    return original(path, method);
  };

  // Above an answer that is arriving: that it is, and a way to end it.
  const liveResponse = (Original, { React }) => (props) => {
    const stop = () => end(props.path, props.method, false);
    const isArriving = props.response.get("arriving") === true;
    const notice = React.createElement(
      "div",
      { className: "live-answer", role: "status" },
      React.createElement("span", null, "The answer is arriving."),
      React.createElement("button", { className: "btn", type: "button", onClick: stop }, "Stop"),
    );
    return React.createElement(React.Fragment, null, isArriving && notice, React.createElement(Original, props));
  };

  // JSON that does not parse is a stream of several documents, or not all there: shown as the text it is.
  const responseBody = (Original, { React }) => (props) => {
    const { content, contentType } = props;
    const lines = typeof content === "string" && /json/i.test(contentType) && !parses(content);
    return React.createElement(Original, lines ? { ...props, contentType: "text/x-lines" } : props);
  };

  const parses = (text) => {
    try {
      JSON.parse(text);
      return true;
    } catch {
      return false;
    }
  };

  // The first media type of the first good answer, which is what an operation is asked for until another is chosen. Swagger
  // UI by itself shows JSON as chosen, and asks for anything. (An original selector has its state already.)
  const firstMediaType = (responses) => {
    const good = responses?.find((_, status) => String(status).startsWith("2"));
    return good?.get("content")?.keySeq().first();
  };
  const currentProducesFor = (original, { specSelectors }) => (_, pathMethod) => {
    const responses = specSelectors.specJsonWithResolvedSubtrees().getIn(["paths", ...pathMethod, "responses"]);
    return firstMediaType(responses) ?? original(pathMethod);
  };
  const responseContentType = (original, { specSelectors }) => (_, path, method) => {
    const responses = specSelectors.specJsonWithResolvedSubtrees().getIn(["paths", path, method, "responses"]);
    return original(path, method) ?? firstMediaType(responses);
  };

  return () => ({
    statePlugins: {
      spec: { wrapActions: { executeRequest, clearResponse }, wrapSelectors: { currentProducesFor } },
      oas3: { wrapSelectors: { responseContentType } },
    },
    wrapComponents: { liveResponse, responseBody },
  });
})();
