// Session keeps a user of your front end signed in to Tenantry.
//
//   const session = new Session("https://id.example.com");
//   await session.signIn("acme", "ada@example.com", password);
//   const response = await session.fetch("https://orders.example.com/orders");
//
// The access token is in the memory of this tab only. The refresh token is in localStorage, so that a reload and other tabs need no
// password. A script that an attacker brings into your page can read localStorage: see "Where tokens live" in the README beside this file.

interface Tokens {
  access_token: string;
  expires_in: number;
  refresh_token: string;
  device_token?: string;
}

/** SignedOut says that the session has ended: show the sign-in page. */
export class SignedOut extends Error {}

/** Problem is an error answer of Tenantry. docs/errors.md explains each code. */
export class Problem extends Error {
  constructor(readonly status: number, readonly code: string, detail: string) {
    super(detail);
  }
}

const refreshTokenKey = "tenantry.refresh_token";
const deviceTokenKey = "tenantry.device_token";

export class Session {
  #accessToken = "";
  #expiresAt = 0;

  constructor(private readonly api: string) {
    // Another tab has signed out, or signed in as another user: this tab must not use its access token any more.
    globalThis.addEventListener?.("storage", (event) => {
      if (event.key === refreshTokenKey) this.#accessToken = "";
    });
  }

  async signIn(tenant: string, email: string, password: string): Promise<void> {
    const device_token = localStorage.getItem(deviceTokenKey) ?? undefined;
    this.#keep(await this.#post<Tokens>("/api/v1/auth/login", { tenant, email, password, device_token }));
  }

  async signOut(): Promise<void> {
    await this.#exclusively(async () => {
      const refresh_token = localStorage.getItem(refreshTokenKey);
      this.#forget();
      if (refresh_token) await this.#post("/api/v1/auth/logout", { refresh_token });
    });
  }

  /** fetch is the browser's fetch with an access token. Call it for your own services only: they can use the token as the user. */
  async fetch(input: string, init: RequestInit = {}): Promise<Response> {
    const token = await this.#token();
    const response = await this.#send(input, init, token);
    if (response.status !== 401) return response;
    // The token was revoked before it expired. Refresh once, unless a parallel request already has.
    if (token === this.#accessToken) this.#accessToken = "";
    return this.#send(input, init, await this.#token());
  }

  #send(input: string, init: RequestInit, token: string): Promise<Response> {
    const headers = new Headers(init.headers);
    headers.set("Authorization", `Bearer ${token}`);
    return fetch(input, { ...init, headers });
  }

  async #token(): Promise<string> {
    if (this.#fresh()) return this.#accessToken;
    return this.#exclusively(async () => {
      if (!this.#fresh()) await this.#refresh(); // else a request that waited before this one has refreshed
      return this.#accessToken;
    });
  }

  #fresh(): boolean {
    return this.#accessToken !== "" && Date.now() < this.#expiresAt;
  }

  // #refresh exchanges the refresh token for the next one. After a failure without a response, or with 503, the stored token is still
  // valid: the caller tries again.
  async #refresh(): Promise<void> {
    const refresh_token = localStorage.getItem(refreshTokenKey);
    if (!refresh_token) throw new SignedOut("not signed in");
    try {
      this.#keep(await this.#post<Tokens>("/api/v1/auth/refresh", { refresh_token }));
    } catch (error) {
      if (!(error instanceof Problem) || error.status !== 401) throw error;
      this.#forget();
      throw new SignedOut(error.message);
    }
  }

  // #exclusively lets one tab at a time read, exchange and store the refresh token. Tenantry gives parallel requests with the same token the
  // same answer, but a slow tab must not overwrite a newer token with an older one.
  async #exclusively<T>(action: () => Promise<T>): Promise<T> {
    return await navigator.locks.request("tenantry.refresh", action);
  }

  #keep(tokens: Tokens): void {
    this.#accessToken = tokens.access_token;
    this.#expiresAt = Date.now() + (tokens.expires_in - 30) * 1000;
    localStorage.setItem(refreshTokenKey, tokens.refresh_token);
    if (tokens.device_token) localStorage.setItem(deviceTokenKey, tokens.device_token);
  }

  #forget(): void {
    this.#accessToken = "";
    localStorage.removeItem(refreshTokenKey); // the device token stays for the next sign-in
  }

  async #post<T>(path: string, body: object): Promise<T> {
    const response = await fetch(this.api + path, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
    if (response.ok) return (response.status === 204 ? undefined : await response.json()) as T;
    const problem = await response.json().catch(() => ({}));
    throw new Problem(response.status, problem.code ?? "", problem.detail ?? response.statusText);
  }
}
