// Ask again and again, while somebody looks: stops in a hidden tab, keeps the old data when an answer fails, and says how old it is.
import { useCallback, useEffect, useRef, useState } from "../vendor/preact-hooks.mjs";
import { ApiError, get } from "./api.js";

/**
 * @template T
 * @typedef {{data: T | null, error: ApiError | null, isLoading: boolean, isSlow: boolean, staleS: number, reload: () => void,
 *   set: (data: T) => void}} Polled
 * `isSlow`: nothing to show yet after 150 ms, time for a skeleton. `staleS`: age of `data` in seconds when the last try failed, else 0.
 */

const SKELETON_MS = 150;

/**
 * `get(path)` now and every `everyMs` (0: once). A new path or query starts afresh.
 * @template T
 * @param {string | null} path null: ask nothing @param {{everyMs?: number, query?: Record<string, string | number | null>}} [options]
 * @returns {Polled<T>}
 */
export function usePoll(path, { everyMs = 2000, query = {} } = {}) {
  const key = path === null ? "" : `${path}?${JSON.stringify(query)}`;
  const empty = { key, data: null, error: null, at: 0, isSlow: false };
  const [state, setState] = useState(/** @type {{key: string, data: T | null, error: ApiError | null, at: number, isSlow: boolean}} */ (empty));
  const again = useRef(() => {});

  useEffect(() => {
    if (path === null) return undefined;
    const abort = new AbortController();
    let timer = 0;
    let isAsking = false;
    const slow = setTimeout(() => setState((old) => (old.key === key ? { ...old, isSlow: true } : { ...empty, isSlow: true })), SKELETON_MS);

    const ask = async () => {
      clearTimeout(timer);
      if (isAsking) return;
      isAsking = true;
      try {
        const data = await get(path, { query, signal: abort.signal });
        setState({ key, data, error: null, at: Date.now(), isSlow: false });
      } catch (error) {
        if (abort.signal.aborted) return;
        const told = error instanceof ApiError ? error : new ApiError(0, "bug", String(error));
        setState((old) => (old.key === key ? { ...old, error: told } : { ...empty, error: told }));
      } finally {
        isAsking = false;
        clearTimeout(slow);
      }
      if (everyMs && !abort.signal.aborted && document.visibilityState === "visible") timer = setTimeout(ask, everyMs);
    };
    const look = () => {
      if (document.visibilityState !== "visible") clearTimeout(timer);
      else if (everyMs) ask();
    };

    again.current = ask;
    document.addEventListener("visibilitychange", look);
    ask();
    return () => {
      abort.abort();
      clearTimeout(timer);
      clearTimeout(slow);
      document.removeEventListener("visibilitychange", look);
    };
  }, [key, everyMs]);

  const now = state.key === key ? state : empty;
  return {
    data: now.data,
    error: now.error,
    isLoading: now.data === null && now.error === null,
    isSlow: now.isSlow && now.data === null,
    staleS: now.error && now.at ? (Date.now() - now.at) / 1000 : 0,
    reload: useCallback(() => again.current(), []),
    set: useCallback((/** @type {T} */ data) => setState((old) => ({ ...old, key, data })), [key]),
  };
}
