from app import query

for user in query("SELECT id, username, password FROM users"):
    print(user.username, user.password.split("$")[1])
