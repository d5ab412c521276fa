// A plain form and a redirect, so that a new user means a new document.
export default function SignIn() {
  return (
    <main>
      <h1>Sign in</h1>
      <form action="/sign-in" method="post">
        <label>
          User <input name="user" required pattern="[\w.\-]+" />
        </label>
        <label>
          Role{" "}
          <select name="role">
            <option>admin</option>
            <option>buyer</option>
          </select>
        </label>
        <button>Sign in</button>
      </form>
    </main>
  );
}
