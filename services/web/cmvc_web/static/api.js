// The server's API: calls with the page's token, answers in lines, errors as the server words them.

export class ApiError extends Error {
  constructor(error) {
    super(error.message);
    this.reason = error.reason;
    this.status = error.status;
  }
}

const CUT = {
  status: 0, reason: 'CONNECTION_CUT',
  message: 'the connection to the server was cut; check that it runs, and try again',
};

function parsed(text, status) {
  try {
    return new ApiError(JSON.parse(text).error);
  } catch {
    return new ApiError({ status, reason: 'SERVER_FAILED', message: `the server answered ${status}; its log says more` });
  }
}

let asking = null;

// Asks for a token, once however many calls want one, and keeps it as a cookie: players send no headers of a page's choice.
export function askForToken() {
  asking ||= new Promise((resolve) => {
    const dialog = document.getElementById('token');
    dialog.addEventListener('close', () => {
      const value = document.getElementById('token-value').value.trim();
      const secure = location.protocol === 'https:' ? '; secure' : '';
      document.cookie = `cmvc_token=${value}; path=/; samesite=strict${secure}`;
      asking = null;
      resolve();
    }, { once: true });
    dialog.showModal();
  });
  return asking;
}

export async function ask(path, options) {
  const response = await fetch(path, options).catch(() => { throw new ApiError(CUT); });
  if (response.status === 401) {
    await askForToken();
    return ask(path, options);
  }
  if (!response.ok) throw parsed(await response.text(), response.status);
  return response;
}

// Sends a file and calls onLine with each line that comes back; onSent with the share that has been sent.
// Returns what can be aborted and awaited. Aborting it cancels the work.
export function send(path, file, onLine, onSent) {
  const request = new XMLHttpRequest();
  const done = new Promise((resolve, reject) => {
    let taken = 0;
    const take = () => {
      if (request.status !== 200) return;
      const end = request.responseText.lastIndexOf('\n') + 1;
      const text = request.responseText.slice(taken, end);
      taken = end;
      for (const line of text.split('\n')) if (line) onLine(JSON.parse(line));
    };
    request.upload.onprogress = (event) => onSent(event.total ? event.loaded / event.total : 0);
    request.onprogress = take;
    request.onload = () => {
      if (request.status === 401) {
        askForToken().then(() => send(path, file, onLine, onSent).done).then(resolve, reject);
      } else if (request.status !== 200) {
        reject(parsed(request.responseText, request.status));
      } else {
        take();
        resolve();
      }
    };
    request.onerror = () => reject(new ApiError(CUT));
    request.onabort = () => reject(new ApiError({ status: 499, reason: 'CANCELLED', message: 'cancelled' }));
    request.open('POST', path);
    request.send(file);
  });
  return { done, abort: () => request.abort() };
}

export function newId() {
  const random = crypto.getRandomValues(new Uint8Array(16));
  return [...random].map((each) => each.toString(16).padStart(2, '0')).join('');
}
