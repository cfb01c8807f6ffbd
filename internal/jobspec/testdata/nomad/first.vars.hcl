text   = "first"
list   = ["first"]
object = { x = "7", y = [1] }
flag   = "true"
