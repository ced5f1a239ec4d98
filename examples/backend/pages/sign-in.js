const form = document.querySelector('#users')
const answer = await fetch('/api/users')
for (const { id, name } of await answer.json()) {
  const button = document.createElement('button')
  button.className = 'primary'
  button.name = 'userId'
  button.value = id
  button.textContent = name
  form.append(button)
}
